"""Tuning: an overnight search that can be trusted in the morning."""

from .folds import Folds, Segment, make_folds, tuning_features, tuning_panel
from .holdout import Figures
from .honesty import (
    deflated_sharpe_ratio,
    overfitting,
    plateau,
    probabilistic_sharpe_ratio,
    walk_forward,
)
from .market import Market, Run, evaluate
from .night import Progress, run_night
from .objective import ObjectiveParameters
from .openings import openings_of
from .outcome import find_winner, open_holdout, read_outcome
from .samplers import PRUNERS, SAMPLERS, check_pruner, check_sampler
from .space import Dimension, SearchSpace, search_space
from .storage import open_storage, without_password
from .study import StudyPlan, check_name, finished, identity_of, open_study
from .trials import TrialTable, trial_table
from .verdict import TuningVerdict, tuning_verdict
from .worker import Session

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "Dimension",
    "Figures",
    "Folds",
    "Market",
    "ObjectiveParameters",
    "Progress",
    "Run",
    "SearchSpace",
    "Segment",
    "Session",
    "StudyPlan",
    "TrialTable",
    "TuningVerdict",
    "check_name",
    "check_pruner",
    "check_sampler",
    "deflated_sharpe_ratio",
    "evaluate",
    "find_winner",
    "finished",
    "identity_of",
    "make_folds",
    "open_holdout",
    "open_storage",
    "open_study",
    "openings_of",
    "overfitting",
    "plateau",
    "probabilistic_sharpe_ratio",
    "read_outcome",
    "run_night",
    "search_space",
    "trial_table",
    "tuning_features",
    "tuning_panel",
    "tuning_verdict",
    "walk_forward",
    "without_password",
]
