"""The application for any WSGI host; settings come from FORWARD_... variables, or the file FORWARD_CONFIG names."""

from config import clear_errors
from proxy import create_app
from proxy.reload import accepted

with clear_errors(status=4):  # gunicorn's status for an application that cannot be loaded
    app = application = create_app(accepted())
