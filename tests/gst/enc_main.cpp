// Registers mvinrenc from the sources that are linked in, with the fake encoder behind it.
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "gstmvinrenc.h"

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  g_log_set_always_fatal(GLogLevelFlags(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL));
  testing::InitGoogleTest(&argc, argv);
  if (!GST_ELEMENT_REGISTER(mvinrenc, nullptr)) return 1;
  return RUN_ALL_TESTS();
}
