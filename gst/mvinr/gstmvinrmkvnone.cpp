// In the place of mvinrmkvmux in a build without libmatroska: there is no such element.
#include "gstmvinr.h"

gboolean gst_element_register_mvinrmkvmux(GstPlugin*) { return FALSE; }
