package arch

// Update is the flag -update, for tests outside of the package.
var Update = update
