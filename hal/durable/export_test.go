package durable

// MakePath is makePath for the sweep over crash states.
var MakePath = makePath
