"""Everything a user of tritonclient does. Arguments: address, key."""

import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

address, key = sys.argv[1:]
headers = {"X-API-Key": key}
client = triton.InferenceServerClient(address)
FLOWERS = numpy.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.5, 4.9, 1.5]])

assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("iris", headers=headers)
assert client.is_model_ready("iris", "1", headers=headers)
assert not client.is_model_ready("none", headers=headers)
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
metadata = client.get_model_metadata("iris", "1", headers=headers)
assert metadata["inputs"] == [{"name": "inputs", "datatype": "FP64", "shape": [-1, 4]}], metadata


def tensor(values, datatype, binary, name="inputs"):
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def labels(model="iris", values=FLOWERS, datatype="FP64", binary=True, **options):
    bearer = {"Authorization": "Bearer " + key}
    answer = client.infer(model, [tensor(values, datatype, binary)], headers=bearer, **options)
    return answer.as_numpy("predictions")


expected = [0, 1]
assert labels().tolist() == expected
assert labels(binary=False).tolist() == expected
assert labels(values=FLOWERS.astype("f4"), datatype="FP32").tolist() == expected
assert labels(values=FLOWERS.astype("f2"), datatype="FP16").tolist() == expected
assert labels(values=FLOWERS.astype("i4"), datatype="INT32").tolist() == expected
for algorithm in ("gzip", "deflate"):
    packed = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    assert labels(**packed).tolist() == expected
assert labels(model_version="1", request_id="seven").tolist() == expected
assert labels("text").dtype == object and len(labels("text")) == 2

columns = [tensor(FLOWERS[:, i].copy(), "FP64", i % 2 == 0, "x%d" % i) for i in range(4)]
wanted = [
    triton.InferRequestedOutput("probabilities", binary_data=True),
    triton.InferRequestedOutput("predictions", binary_data=False),
]
answer = client.infer("iris", columns, outputs=wanted, request_id="seven", headers=headers)
said = answer.get_response()
assert said["id"] == "seven" and said["model_version"] == "1", said
probabilities = answer.as_numpy("probabilities")
assert probabilities.shape == (2, 3) and abs(probabilities.sum(axis=1) - 1).max() < 1e-9
assert answer.as_numpy("predictions").tolist() == expected
assert client.async_infer("iris", columns, headers=headers).get_result().as_numpy("predictions").tolist() == expected

for arguments, status, message in [
    (("iris", [tensor(FLOWERS[:, :3].copy(), "FP64", True)]), "400", 'no input "inputs"'),
    (("none", columns), "404", "model not found"),
]:
    try:
        client.infer(*arguments, headers=headers)
    except InferenceServerException as error:
        assert error.status() == status and message in error.message(), error
    else:
        raise AssertionError(message)
try:
    client.infer("iris", columns)
except InferenceServerException as error:
    assert error.status() == "401", error
else:
    raise AssertionError("nobody asked for a key")

index = client.get_model_repository_index(headers=headers)
assert [item["name"] for item in index] == ["iris", "text"] and index[0]["state"] == "READY", index
client.load_model("iris", headers=headers)
client.unload_model("iris", headers=headers)
assert labels().tolist() == expected
print("all held")
