# satsynth in a container, for a CPU:
#     docker build --tag satsynth .
#     docker run --rm --volume "$PWD/data:/home/satsynth/satsynth/data" satsynth
# For a CUDA GPU, with the NVIDIA Container Toolkit on the machine:
#     docker build --tag satsynth:gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
#     docker run --rm --gpus all --shm-size 8g --volume "$PWD/data:/home/satsynth/satsynth/data" satsynth:gpu \
#         .venv/bin/kedro run --pipeline=augment --env=gpu --params=dataset=dubai
# All tests: docker run --rm satsynth make test
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

# Chromium is for the tests of the two web pages.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git make \
    && rm -rf /var/lib/apt/lists/*

# To mount a folder of another owner, build with --build-arg UID=$(id -u).
ARG UID=1000
RUN useradd --create-home --uid ${UID} satsynth
USER satsynth
WORKDIR /home/satsynth/satsynth

# PyTorch first and by itself: the largest layer changes least.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir torch torchvision --index-url ${TORCH_INDEX}

COPY --chown=satsynth:satsynth . .
RUN make install && .venv/bin/pip cache purge

CMD ["make", "augment"]
