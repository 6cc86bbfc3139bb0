# Sourced by the examples: makes the build folder's elements and programs available.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build}
clip=$root/examples/clip
export PATH="$build/codec/tools:$PATH"
export GST_PLUGIN_PATH="$build/gst/mvinr:$build/gst/mvinrenc${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"
export LC_ALL=C.UTF-8
export GST_PRESET_PATH="$root/gst/mvinrenc"

need() {  # FILE HOW: ends the script if the file is missing
  [ -e "$1" ] || { echo "${0##*/}: $1 is missing; $2" >&2; exit 1; }
}
need_build() { need "$build/gst/mvinrenc/libgstmvinrenc.so" "run examples/quickstart.sh first"; }
need_file() { need "$1" "run examples/quickstart.sh first, or give another file"; }

# Turns the messages of `gst-launch-1.0 -m` into one line of progress that renews itself (on a
# terminal), or one line every five seconds.
show_progress() {
  local line last=-5 text error=
  field() { [[ $line =~ (^|[ ,])$1=\([a-z0-9]+\)([^,\;]*) ]] && printf %s "${BASH_REMATCH[2]}"; }
  while IFS= read -r line; do
    case $error$line in
      *mvinrenc-progress*)
        [ -t 1 ] || [ $((SECONDS - last)) -ge 5 ] || continue
        last=$SECONDS
        text=$(printf 'GOP %s  %-8s step %s/%s  %.2f dB  %.1f kbit  %.0f s left' "$(field gop)" \
          "$(field phase | tr -d '"')" "$(field step)" "$(field steps)" "$(field psnr)" \
          "$(field bits)e-3" "$(field seconds-left)")
        if [ -t 1 ]; then printf '\r%s\033[K' "$text"; else echo "$text"; fi ;;
      *mvinrenc-gop,*)
        [ ! -t 1 ] || printf '\r\033[K'
        printf 'GOP %s done: %s bytes, texture %.2f dB, depth %.2f dB, %s steps in %.0f s, profile %s\n' \
          "$(field gop)" "$(field bytes)" "$(field mean-texture-psnr)" "$(field mean-depth-psnr)" \
          "$(field steps)" "$(field train-seconds)" "$(field profile | tr -d '"')" ;;
      *ERROR* | *WARNING*)
        error="ERROR "  # the lines that follow explain it
        echo "$line" >&2 ;;
    esac
  done
}
