"""What each page shows, read out of a copy and the view of it: a file a subject, a function an answer."""
