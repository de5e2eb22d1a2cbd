"""The test telephone, `puente call`: what it plays, where it calls, and what it tells."""
