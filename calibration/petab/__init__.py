"""PEtab, the format of calibration problems in systems biology."""

from calibration.petab.errors import PetabError, UnsupportedPetabError
from calibration.petab.read import read_petab
from calibration.petab.write import write_petab

__all__ = ["PetabError", "UnsupportedPetabError", "read_petab", "write_petab"]
