#!/usr/bin/env python3
"""Checks who includes whom: base <- (model, entropy, kernels, geometry) <- format <- decode <- train;
gst/, examples/ and codec/tools see only the public headers (docs/overview.md)."""
import pathlib
import re
import sys

MIDDLE = ["model", "entropy", "kernels", "geometry"]
ALLOWED = {"include": [], "base": ["base"], **{m: ["base", m] for m in MIDDLE}}
ALLOWED["format"] = ["base", *MIDDLE, "format"]
ALLOWED["decode"] = [*ALLOWED["format"], "decode"]
ALLOWED["train"] = [*ALLOWED["decode"], "train"]
ALLOWED["tools"] = ["tools"]
LIGHT = set(ALLOWED) - {"train"}

root = pathlib.Path(__file__).resolve().parent.parent
files = [p for top in ("codec", "gst", "examples") for p in sorted((root / top).rglob("*"))
         if p.suffix in (".h", ".cpp", ".cu", ".cuh", ".inc", ".c")]
errors = []
for path in files:
    top, folder = path.relative_to(root).parts[:2]
    allowed = ALLOWED.get(folder, []) if top == "codec" else []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        if not match:
            continue
        name = match.group(1)
        target = name.split("/")[0] if "/" in name else ""
        wrong = target in ALLOWED and target not in allowed
        wrong |= top == "codec" and folder in LIGHT and target in ("torch", "ATen", "c10", "gst")
        wrong |= folder == "train" and target == "gst"
        if wrong:
            errors.append(f"{path.relative_to(root)}:{number}: {folder} may not include {name}")
print("\n".join(errors) if errors else f"{len(files)} files follow the include rules")
sys.exit(1 if errors or not files else 0)
