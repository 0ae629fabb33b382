"""How tenants' keys are kept in memory: the parts of TenantKeys. Nobody else needs them."""
