"""Faults of text generation."""

from functools import partial

from parity_tests.faults.fault import Fault


def of(function: str, *cases: str) -> partial:
    """Return a maker of faults in a function of text generation."""
    return partial(Fault, phase="step", function=f"generation.{function}", cases=cases, culprit=function)


top_k = of("next_token", "next-token-top-k")
top_p = of("next_token", "next-token-top-p")
text = of("generate", "generate")
beyond = of("generate_beyond", "generate-beyond")
beams = of("beam_search", "beam-search-penalty")

FAULTS = [
    of("next_token", "next-token-greedy")(
        "next_token: last of equally likely tokens",
        "logits.argmax(axis=-1)",
        "logits.shape[-1] - 1 - logits[:, ::-1].argmax(axis=-1)",
        cause="last of equally likely",
    ),
    of("next_token", "next-token-cold")(
        "next_token: temperature upside down", "/ temperature)", "* temperature)", cause="multiplies by"
    ),
    top_k(
        "next_token: equals in reverse",
        'np.argsort(-p, axis=-1, kind="stable")',
        'np.argsort(p, axis=-1, kind="stable")[:, ::-1]',
        cause="in reverse",
    ),
    top_k("next_token: equals in any order", ', kind="stable"', "", cause=None),
    top_p("next_token: one token more at exactly top_p", "before >= top_p", "before > top_p", cause="one token more where"),
    top_p("next_token: the token that reaches top_p dropped", "before >= top_p", "before + ranked > top_p", cause=None),
    of("next_token", "next-token")(
        "next_token: one random number for all rows", "uniform[:, None]", "uniform[:1, None]", cause="first row for all rows"
    ),
    of("next_token", "next-token")("next_token: at an edge", "reached <= uniform", "reached < uniform", cause="on an edge"),
    of("next_token", "next-token-all-options")(
        "next_token: top_p of all tokens", "top_p * ranked.sum(", "top_p * p.sum(", cause="top_p of all tokens"
    ),
    text(
        "generate: state of the prompt before",
        "model(fed, state)",
        "model(fed, state if state is not None else vars(generate).get('kept'))\n        generate.kept = state",
        cause="it raises ValueError",
    ),
    text(
        "generate: prompt read twice",
        "fed = tokens[-1][:, None]",
        "fed = np.concatenate([prompt, tokens[-1][:, None]], axis=1)",
        cause=None,
    ),
    text("generate: given state ignored", "model(fed, state)", "model(fed, state if tokens else None)", cause=None),
    text("generate: first position", "logits[:, -1]", "logits[:, 0]", cause=None),
    beyond("generate_beyond: window one token short", "max(context // 2, 1)", "max(context // 2 - 1, 1)", cause=None),
    beyond("generate_beyond: dropped one step early", "context - seen.shape[1] + 1", "max(context - seen.shape[1], 1)", cause=None),
    beams("beam_search: penalty ignored", "scores[ended] / step**length_penalty", "scores[ended]", cause=None),
    beams(
        "beam_search: states of other texts", "_select(state, parents[alive])", "_select(state, np.zeros_like(alive))", cause=None
    ),
    beams("beam_search: ended texts go on", "np.flatnonzero(~ended)[:beams]", "np.arange(min(beams, len(ended)))", cause=None),
]
