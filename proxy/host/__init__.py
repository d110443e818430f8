"""What gunicorn's gevent worker does for each request, done with less; see ``conversation``."""
