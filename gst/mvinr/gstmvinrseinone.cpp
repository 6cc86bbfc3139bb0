// In the place of mvinrseiinsert in a build without GStreamer's codec parsers: there is no such
// element.
#include "gstmvinr.h"

gboolean gst_element_register_mvinrseiinsert(GstPlugin*) { return FALSE; }
