"""Says how good each version really is: joins its answers with the outcomes that become known later."""
