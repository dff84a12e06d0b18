"""A real RTSP server for tests, run by the system's Python (it has GStreamer): plays a clip, or a picture that changes size.

    /usr/bin/python3 tests/rtsp_server.py --port 0 --clip lesson.mp4 [--user NAME --password WORD]
    /usr/bin/python3 tests/rtsp_server.py --port 8554 --sizes 320x240,640x360 --change-after-s 2

Prints `ready PORT` when it listens; a clip starts anew for each client, in real time.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - versions are chosen first

ENCODER = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} ! h264parse config-interval=-1"


def launch_line(options: argparse.Namespace) -> str:
    """What the server plays, as a pipeline description."""
    if options.clip:
        play = f"filesrc location={options.clip} ! qtdemux ! h264parse config-interval=-1"
    else:
        first = caps_of(options.sizes.split(",")[0], options.fps)
        play = f"videotestsrc is-live=true pattern=ball ! capsfilter name=size caps={first} ! videoconvert ! "
        play += ENCODER.format(gop=options.gop)
    return f"( {play} ! rtph264pay name=pay0 pt=96 )"


def caps_of(size: str, fps: int) -> str:
    """Caps of a size such as 320x240."""
    width, height = size.split("x")
    return f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"


def change_size(media: GstRtspServer.RTSPMedia, options: argparse.Namespace) -> None:
    """After a while, let the running stream go on in the next size."""
    filter_ = media.get_element().get_by_name_recurse_up("size") or media.get_element().get_by_name("size")

    def change() -> bool:
        filter_.set_property("caps", Gst.Caps.from_string(caps_of(options.sizes.split(",")[1], options.fps)))
        return False

    GLib.timeout_add(int(1000 * options.change_after_s), change)


def protect(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, word: str) -> None:
    """Basic authentication for one user."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, word), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--clip")
    parser.add_argument("--sizes", default="320x240")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--gop", type=int, default=10)
    parser.add_argument("--change-after-s", type=float, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(options))
    if options.change_after_s:
        factory.connect("media-configure", lambda _, media: change_size(media, options))
    if options.user:
        protect(server, factory, options.user, options.password)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print(f"ready {server.get_bound_port()}", flush=True)  # noqa: T201 - its one answer
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
