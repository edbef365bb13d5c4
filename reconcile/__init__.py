"""An asyncio framework for Kubernetes controllers."""
