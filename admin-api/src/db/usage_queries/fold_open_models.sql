SELECT granularity, bucket, part, sums FROM open_models
