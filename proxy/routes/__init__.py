"""The client's side: what arrived, and how an answer leaves. The only importers of flask's request."""
