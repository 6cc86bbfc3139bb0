// Serves an MV-INR file over RTSP, all views or some of them, without decoding it.
//   rtsp-server FILE [PORT [VIEWS...]]    FILE: .mvinr, .mp4 or .mov; PORT: default 8554, 0: any
//   rtsp-server scene.mvinr 8554 0,3 7    rtsp://127.0.0.1:8554/all, …/0,3 and …/7
// Watch with:
//   gst-launch-1.0 playbin3 uri=rtsp://127.0.0.1:8554/all
//   gst-launch-1.0 rtspsrc location=rtsp://127.0.0.1:8554/0,3 ! rtpmvinrdepay ! mvinrdec name=d
//     d.texture_3 ! queue ! videoconvert ! autovideosink
#include <gst/rtsp-server/rtsp-server.h>

#include <cstdio>
#include <string>

namespace {

// Every viewer plays the file from its start, or from where he seeks.
void serve(GstRTSPMountPoints* mounts, const std::string& file, const std::string& views) {
  const bool raw = file.ends_with(".mvinr");
  const std::string pipeline = "( filesrc location=\"" + file + "\" ! " +
                               (raw ? "" : "qtdemux ! ") + "mvinrparse ! mvinrfilter views=\"" +
                               views + "\" ! rtpmvinrpay name=pay0 pt=96 )";
  GstRTSPMediaFactory* factory = gst_rtsp_media_factory_new();
  gst_rtsp_media_factory_set_launch(factory, pipeline.c_str());
  gst_rtsp_mount_points_add_factory(mounts, ("/" + views).c_str(), factory);
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  if (argc < 2) {
    std::fprintf(stderr, "usage: rtsp-server FILE [PORT [VIEWS...]]\n");
    return 2;
  }
  GstRTSPServer* server = gst_rtsp_server_new();
  gst_rtsp_server_set_address(server, "127.0.0.1");
  gst_rtsp_server_set_service(server, argc > 2 ? argv[2] : "8554");
  GstRTSPMountPoints* mounts = gst_rtsp_server_get_mount_points(server);
  serve(mounts, argv[1], "all");
  for (int i = 3; i < argc; ++i) serve(mounts, argv[1], argv[i]);
  g_object_unref(mounts);
  if (gst_rtsp_server_attach(server, nullptr) == 0) {
    std::fprintf(stderr, "rtsp-server: cannot listen on port %s\n", argc > 2 ? argv[2] : "8554");
    return 1;
  }
  std::printf("rtsp://127.0.0.1:%d/all\n", gst_rtsp_server_get_bound_port(server));
  std::fflush(stdout);
  g_main_loop_run(g_main_loop_new(nullptr, FALSE));
  return 0;
}
