"""What judges and runs exports, knowing nothing but the files of a SavedModel."""
