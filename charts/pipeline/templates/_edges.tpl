{{/*
The edges of the flow as rules of network policies. An address that leads to a service of the stack opens the way to that
service's pods; any other address opens its port, wherever it leads.
*/}}

{{- define "pipeline.edge.dns" -}}
- to:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{- define "pipeline.edge.kafka" -}}
{{- $ours := true }}
{{- range splitList "," .Values.addresses.kafka }}
{{- if ne (first (splitList ":" .)) "kafka" }}{{ $ours = false }}{{ end }}
{{- end -}}
- ports: # Kafka
    {{- range splitList "," .Values.addresses.kafka }}
    - port: {{ last (splitList ":" .) }}
    {{- end }}
  {{- if $ours }}
  to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
          app.kubernetes.io/component: kafka
  {{- end }}
{{- end }}

{{- define "pipeline.edge.mlflow" -}}
{{- $address := urlParse .Values.addresses.mlflow -}}
- ports: # MLflow
    - port: {{ last (splitList ":" $address.host) }}
  {{- if eq $address.hostname "mlflow" }}
  to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
          app.kubernetes.io/component: mlflow
  {{- end }}
{{- end }}

{{- /* The ports of the DataNodes are the NameNode's to tell, so none is named here. */}}
{{- define "pipeline.edge.hdfs" -}}
{{- if eq (urlParse .Values.addresses.hdfs).hostname "namenode" -}}
- to: # HDFS
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: baton
        matchExpressions:
          - key: app.kubernetes.io/component
            operator: In
            values: [namenode, datanode]
{{- else -}}
- to: # HDFS
    - ipBlock:
        cidr: 0.0.0.0/0
{{- end }}
{{- end }}

{{- define "pipeline.edge.apiserver" -}}
- ports: # Kubernetes' API: before and behind its Service
    - port: 443
    - port: 6443
{{- end }}

{{- /* Between a driver and its executors; each chooses its ports. Takes the list of the other side's components. */}}
{{- define "pipeline.edge.spark" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/part-of: baton
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ toJson . }}
{{- end }}
