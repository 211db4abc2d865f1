"""Renders templates with Python's Jinja2, set up as Hugging Face transformers sets it up for chat templates."""

import json
from datetime import datetime

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime(2026, 11, 23, 12, 0, 0)


class Generation(Extension):
    """{% generation %}…{% endgeneration %} prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _body(self, _context, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


ENV = environment()


def outcome(source, context):
    """Returns {"ok": text} or {"err": message}."""
    try:
        text = ENV.from_string(source).render(**json.loads(json.dumps(context)))
        text.encode("utf-8")
        return {"ok": text}
    except RecursionError:
        return {"err": "RecursionError"}
    except Exception as e:  # every failure of a template is an outcome
        return {"err": f"{type(e).__name__}: {e}"}
