// libgstmvinr.so: everything about MV-INR streams that needs no training, so no LibTorch.
#include "gstmvinr.h"

static gboolean plugin_init(GstPlugin* plugin) {
  gboolean any = FALSE;
  any |= GST_TYPE_FIND_REGISTER(mvinr, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrparse, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrdec, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrmkvmux, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrfilter, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrviewselect, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrseiinsert, plugin);
  any |= GST_ELEMENT_REGISTER(mvinrseiextract, plugin);
  any |= GST_ELEMENT_REGISTER(rtpmvinrpay, plugin);
  any |= GST_ELEMENT_REGISTER(rtpmvinrdepay, plugin);
  return any;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, mvinr,
                  "Parses and decodes MV-INR, multi-view video with depth", plugin_init, VERSION,
                  "BSD", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
