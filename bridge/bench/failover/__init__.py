"""A lab of SIP partners that fail on purpose: Kamailios, their telephone network, their names and certificates."""
