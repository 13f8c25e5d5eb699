# Not built yet: there was no Docker at hand.
# On a CPU: docker build -t celebahq . && docker run --rm -v "$PWD:/data" celebahq celebahq-build --input examples/in-the-wild
FROM python:3.11-slim
COPY . /celebahq
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c /celebahq/constraints.txt '/celebahq[all]'
WORKDIR /data
