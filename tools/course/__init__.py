"""The student edition: the chapters without their solutions, and the proof that every check can fail."""

from tools.course.bundle import build
from tools.course.edition import student_edition
from tools.course.exercises import Exercise, find_exercises
from tools.course.proof import Verdict, try_starters

__all__ = ["Exercise", "Verdict", "build", "find_exercises", "student_edition", "try_starters"]
