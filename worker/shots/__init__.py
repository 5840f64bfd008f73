"""A shot from pixels to files, without a job, a store or a service."""
