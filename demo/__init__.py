"""The lesson: scenarios run for real, listened to, and told as a story."""
