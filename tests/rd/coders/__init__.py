"""All codecs, by the names that --codecs takes."""
from coders.av1 import Av1
from coders.htm import MvHevc, ThreeDHevc
from coders.mvinr import Auto, Hybrid, Implicit
from coders.tmiv import Tmiv
from coders.vvc import Vvc
from coders.x265 import X265

CODECS = {c.name: c for c in (X265, Av1, Vvc, MvHevc, ThreeDHevc, Tmiv, Implicit, Hybrid, Auto)}
DEFAULT = [name for name in CODECS if name not in (Auto.name, Av1.name)]
