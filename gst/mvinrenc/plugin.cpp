// Registration of libgstmvinrenc.so, the plugin that loads LibTorch.
#include "gstmvinrenc.h"

static gboolean plugin_init(GstPlugin* plugin) { return GST_ELEMENT_REGISTER(mvinrenc, plugin); }

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, mvinrenc,
                  "MV-INR encoder: multi-view video and depth as implicit neural representations",
                  plugin_init, VERSION, "BSD", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
