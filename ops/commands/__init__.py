"""The commands of `lesson-progress`, one file a subject."""
