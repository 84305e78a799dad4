"""S3 and Bedrock by botocore, as boto3 and the AWS command line call them: endpoint and key set, nothing else."""
import hashlib
import json
import sys

import botocore.session
from botocore.config import Config

endpoint, bedrock_endpoint, token, certificate = sys.argv[1:]


def client(service, url):
    session = botocore.session.Session()
    session.set_credentials(token, "unused")
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return session.create_client(service, endpoint_url=url, region_name="us-east-1", verify=certificate, config=config)


s3 = client("s3", endpoint)
keys = ["plain.txt", "a b+c&d=e.txt", "檔案/é ü.txt", "a=1,(2)!*'$@;:.txt"]
for key in keys:
    s3.put_object(Bucket="by-python", Key=key, Body=key.encode(), ContentType="text/plain")
# botocore requests encoded names and decodes a plus, but the server lists names without encoding them.
listed = sorted(item["Key"] for item in s3.list_objects_v2(Bucket="by-python")["Contents"])
assert listed == sorted(key.replace("+", " ") for key in keys), listed
for key in keys:
    assert s3.get_object(Bucket="by-python", Key=key)["Body"].read() == key.encode(), key
assert s3.get_object(Bucket="by-python", Key="plain.txt", Range="bytes=2-4")["Body"].read() == b"ain"
assert s3.head_object(Bucket="by-python", Key="plain.txt")["ContentLength"] == 9

with open(sys.argv[0], "rb") as stream:
    s3.put_object(Bucket="by-python", Key="stream", Body=stream)
with open(sys.argv[0], "rb") as stream:
    assert s3.get_object(Bucket="by-python", Key="stream")["Body"].read() == stream.read()

if endpoint.startswith("https:"):
    large = bytes(range(256)) * 20481
    upload = s3.create_multipart_upload(Bucket="by-python", Key="large")["UploadId"]
    parts = []
    for number, part in enumerate([large[: 5 << 20], large[5 << 20 :]], 1):
        etag = s3.upload_part(Bucket="by-python", Key="large", UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(Bucket="by-python", Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
    digest = hashlib.sha256(s3.get_object(Bucket="by-python", Key="large")["Body"].read()).hexdigest()
    assert digest == hashlib.sha256(large).hexdigest()
s3.delete_objects(Bucket="by-python", Delete={"Objects": [{"Key": key} for key in [*keys, "large", "stream"]]})
assert "Contents" not in s3.list_objects_v2(Bucket="by-python")

answer = client("bedrock-runtime", bedrock_endpoint).converse(
    modelId="eu.anthropic.claude-sonnet-4-20250514-v1:0",
    messages=[{"role": "user", "content": [{"text": "Hello"}]}],
)
print(json.dumps({"text": answer["output"]["message"]["content"][0]["text"], "usage": answer["usage"]}))
