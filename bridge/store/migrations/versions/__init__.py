"""The steps. A step that has been released is never changed: what it got wrong, the next one mends."""
