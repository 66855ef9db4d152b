"""The student edition: the chapters without their solutions, and the proof that every check can fail."""

from tools.course.bundle import build
from tools.course.edition import student_edition
from tools.course.exercises import Exercise, find_exercises
from tools.course.proof import Verdict, exercises_by_starter, try_starter

__all__ = ["Exercise", "Verdict", "build", "exercises_by_starter", "find_exercises", "student_edition", "try_starter"]
