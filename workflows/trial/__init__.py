"""A policy on trial: campaigns on simulated fleets, judged as real ones are. Pure, from a seed."""

from workflows.trial.campaign import Ending, Outcome, Rule, Says, Tally, Word, run, waves_of
from workflows.trial.rule import GateRule
from workflows.trial.score import Score, Wilson, score
from workflows.trial.shapes import HARMS, NO_HARM, FleetShape, Harm, Model, PlanShape
from workflows.trial.view import View
from workflows.trial.world import World, build

__all__ = [
    "HARMS",
    "NO_HARM",
    "Ending",
    "FleetShape",
    "GateRule",
    "Harm",
    "Model",
    "Outcome",
    "PlanShape",
    "Rule",
    "Says",
    "Score",
    "Tally",
    "View",
    "Wilson",
    "Word",
    "World",
    "build",
    "run",
    "score",
    "waves_of",
]
