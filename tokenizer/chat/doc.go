// Package chat renders chat templates: the Jinja templates by which model files say how a conversation becomes a prompt.
//
// It is an engine of its own for the whole of Jinja2's language as chat templates get it in Python: trim_blocks and
// lstrip_blocks on, break and continue, {% generation %}, tojson with keys in their order, raise_exception and
// strftime_now, in an immutable sandbox. Text, numbers and containers behave and print as Python's do, because templates
// rely on it: None prints "None", a list prints its repr, "%.2f" % x rounds as C does. What Python refuses is an error here.
//
//	template, err := chat.Parse(source)
//	ctx, err := chat.DecodeContext([]byte(`{"messages": [{"role": "user", "content": "Hi"}]}`))
//	prompt, err := template.Render(ctx, chat.Options{})
//
// A template comes from a model file and is not trusted: rendering is bounded in steps, size and time ([Options]), it
// reads nothing but its context, and neither deep nesting nor hostile input can exhaust the stack.
//
// Not available, with an error that says so: include, import and extends (there are no other templates), and what makes
// random text (the filter random, lipsum). References: https://jinja.palletsprojects.com/en/stable/templates/ and
// https://huggingface.co/docs/transformers/chat_templating.
package chat
