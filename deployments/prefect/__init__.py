"""What Prefect is told, and whether it listened: `prefect.yaml` and the work pools' templates, checked and read back."""
