"""What the page's API answers: one type for each answer, in a file for each subject."""
