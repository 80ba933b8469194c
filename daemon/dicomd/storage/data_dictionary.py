"""PS3.6's data dictionary from pydicom's package, without the rest of that package.

``import pydicom`` takes a tenth of a second and 20 MB that a receiver needs nothing of; the one
module that holds the table takes milliseconds.
"""

from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

Entry = tuple[str, str, str, str, str]
"""Value representation, multiplicity, name, "Retired" or nothing, keyword."""


def _table() -> ModuleType:
    package = find_spec("pydicom")
    places = None if package is None else package.submodule_search_locations
    spec = None if places is None else PathFinder.find_spec("_dicom_dict", places)
    if spec is None or spec.loader is None:
        raise ImportError("pydicom's data dictionary is missing", name="pydicom._dicom_dict")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_loaded = _table()
ENTRIES: Mapping[int, Entry] = _loaded.DicomDictionary
"""By tag."""
REPEATERS: Mapping[str, Entry] = _loaded.RepeatersDictionary
"""By the tag's eight hexadecimal digits, ``x`` where any may stand."""
