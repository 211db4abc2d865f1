package chat

func filterPprint(r *run, a *arguments) (Value, error) {
	args, err := a.bind("pprint", 1, "value")
	if err != nil {
		return nil, err
	}
	return repr(r, args[0])
}
func filterURLize(r *run, a *arguments) (Value, error) {
	return nil, newError("TemplateRuntimeError", "x")
}
func filterWordWrap(r *run, a *arguments) (Value, error) {
	return nil, newError("TemplateRuntimeError", "x")
}
