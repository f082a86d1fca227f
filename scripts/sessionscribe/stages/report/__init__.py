"""What `sessionscribe report` shows: of a session its pictures, its audit and its cost; and all sessions."""
