"""What runs and how it is started; the apps never import it."""
