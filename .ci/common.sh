# What the scripts of this folder share; sourced, in the project's folder.
export PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_COMPILE=0  # what is imported is compiled then; all of PyTorch beforehand takes a minute
unset PYTHONDONTWRITEBYTECODE  # where that is set, every process would compile all that it imports

section() { printf '\n=== %s (%ss)\n' "$1" "$SECONDS"; }

# A command of the README, shown and run.
run() {
    [ -n "$1" ] || exit 1
    printf '$ %s\n' "$1"
    bash -euo pipefail -c "$1"
}

# The command of the block under the marker `<!-- NAME -->` in the README.
readme_command() {
    awk -v marker="<!-- $1 -->" '
        $0 == marker {found = 1; next}
        found && /^```/ {if (inside) exit; inside = 1; next}
        inside' README.md | grep . || { echo "README.md has no command marked $1" >&2; return 1; }
}

# The newest Python of a version such as 3.12, in the path or of pyenv (`pyenv install 3.12` gets one); nothing if there
# is none.
find_python() {
    local found candidate
    found=$(command -v "python$1" || true)
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1"; do
        if [ -x "$candidate" ]; then found=$candidate; fi
    done
    if [ -n "$found" ] && "$found" -c 'import venv, ensurepip' 2>/dev/null; then echo "$found"; fi
}

# What the extra EXTRA asks for, a line each, of the pynq_cnn that PYTHON has installed: requirements EXTRA PYTHON
requirements() {
    "$2" - "$1" <<'PYTHON'
import sys
from importlib.metadata import requires

for line in requires("pynq_cnn"):
    requirement, _, marker = line.partition(";")
    if f"extra == '{sys.argv[1]}'" in marker.replace('"', "'"):
        print(requirement.strip())
PYTHON
}

# Whether what the README installs all at once resolves on the Python of an environment: resolve FOLDER
resolve() {
    local command
    command=$(readme_command all)
    "$1/bin/pip" install -q 'pip>=24.1'  # the first that resolves by metadata alone, without gigabytes
    run "$1/bin/${command/pip install/pip install --dry-run --ignore-installed}" | grep -E '^\$|^Would install'
}
