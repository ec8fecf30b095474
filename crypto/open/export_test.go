package open

// Seed shows the secret to tests that look for it where it must not be.
func (i Identity) Seed() []byte { return i.reveal().seed[:] }
