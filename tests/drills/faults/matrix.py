"""All kinds of damage there are, in the order in which they can be met on one ground."""

from tests.drills.faults import copy_damage, night_damage, offsite_damage, repository_damage, repository_rewriting
from tests.drills.faults.kinds import every

#: Each registers its own as it is imported.
DAMAGE = (repository_damage, repository_rewriting, copy_damage, offsite_damage, night_damage)
KINDS = every()
