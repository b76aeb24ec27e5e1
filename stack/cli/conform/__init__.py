"""``./baton conform``: what of the Open Inference Protocol v2 by REST a server keeps, ours or another's."""
