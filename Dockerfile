# Puente in a container.
#
#   docker build -t puente .
#   docker run --network host -v /etc/puente:/etc/puente:ro -e ULTRAVOX_API_KEY puente
#
# --network host: RTP needs thousands of UDP ports, and each one mapped by name costs a process and adds latency.

# --- builds everything into /opt/puente; compilers and headers stay behind here ---
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends build-essential swig libssl-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /opt/puente
# PJSUA2 first: it takes minutes and changes seldom, so an edit of the bridge does not build it again.
COPY sip/__init__.py sip/__init__.py
COPY sip/native sip/native
RUN python -m sip.native.build --python /opt/puente/bin/python
COPY pyproject.toml README.md LICENSE ./
COPY bridge bridge
COPY media media
COPY sip sip
RUN /opt/puente/bin/pip install --no-cache-dir --no-input .
# The packet step beside its source, in the installed package and not in this folder.
RUN cd / && /opt/puente/bin/python -m media.native.build

# --- runs it: the same base without compilers, as a user who may write nothing but recordings and records ---
FROM python:3.11-slim-bookworm AS run
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libssl3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/puente --create-home puente
COPY --from=build /opt/puente /opt/puente
COPY configs/example.toml /etc/puente/example.toml
ENV PATH=/opt/puente/bin:$PATH \
    PYTHONUNBUFFERED=1
USER puente
WORKDIR /var/lib/puente
VOLUME /var/lib/puente
# SIP, and the RTP range of configs/example.toml.
EXPOSE 5060/udp 5060/tcp 5061/tcp 20000-21999/udp
# The control process replaces children that do not answer; what it cannot replace is missing here. SIP itself cannot be
# asked: OPTIONS from an address that is no trunk gets no answer, by design. [.] keeps grep from finding itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD grep -qs 'sip[.]process' /proc/[0-9]*/cmdline && grep -qs 'media[.]worker' /proc/[0-9]*/cmdline
# tini reaps and hands SIGTERM on: the bridge hangs up its calls and writes their records before it goes.
ENTRYPOINT ["tini", "--", "puente"]
CMD ["serve", "--config", "/etc/puente/puente.toml"]
