"""A bank and a partner model defaults on the columns of both."""
