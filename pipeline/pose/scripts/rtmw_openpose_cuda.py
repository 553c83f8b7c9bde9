# /// script
# requires-python = ">=3.10,<3.13"
# dependencies = [
#     "rtmlib==0.0.16",
#     "onnxruntime-gpu[cuda,cudnn]==1.23.2",
#     "numpy==1.26.4",
#     "opencv-python-headless==4.11.0.86",
#     "imageio-ffmpeg==0.8.1",
# ]
#
# [tool.uv]
# override-dependencies = [
#     "onnxruntime; python_version < '3'",
#     "opencv-python; python_version < '3'",
#     "opencv-contrib-python; python_version < '3'",
# ]
# ///
"""`rtmw_openpose.py` with ONNX Runtime for CUDA, an environment of gigabytes that only machines with GPUs need.

It was never run on a GPU.
"""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("rtmw_openpose.py")), run_name="__main__")
