"""The world around the module: certificates, tokens, key servers, backends, servers and clients."""
