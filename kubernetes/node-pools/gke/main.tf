# A GPU pool that costs nothing while nothing trains. Labels and taints are those of the
# deployment profile pipeline/kubeflow/profiles/gpu-gke.yaml; a test compares them.
#
#   terraform init && terraform apply -var project=... -var cluster=... -var location=...

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0, < 8.0"
    }
  }
}

variable "project" { type = string }
variable "cluster" { type = string }
variable "location" { type = string }

variable "max_nodes" {
  type    = number
  default = 1
}

variable "spot" {
  description = "Spot nodes cost less and vanish at any time; steps are then retried."
  type        = bool
  default     = true
}

# The nodes' own account. Pods reach buckets by Workload Identity, not by this account.
resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "graft-gpu-nodes"
  display_name = "Nodes of the GPU pool of graft"
}

# What a node needs: write logs and metrics, and pull images.
resource "google_project_iam_member" "nodes" {
  for_each = toset([
    "roles/container.defaultNodeServiceAccount",
    "roles/artifactregistry.reader",
  ])
  project = var.project
  role    = each.value
  member  = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_container_node_pool" "gpu" {
  name               = "graft-gpu"
  project            = var.project
  cluster            = var.cluster
  location           = var.location
  initial_node_count = 0

  autoscaling {
    min_node_count  = 0
    max_node_count  = var.max_nodes
    location_policy = "ANY"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type = "g2-standard-4"
    spot         = var.spot
    disk_size_gb = 100
    disk_type    = "pd-balanced"

    service_account = google_service_account.nodes.email
    oauth_scopes = [
      "https://www.googleapis.com/auth/devstorage.read_only", # to pull images
      "https://www.googleapis.com/auth/logging.write",
      "https://www.googleapis.com/auth/monitoring",
    ]

    # Only signed boot components and kernel modules. The driver that GKE installs is.
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    # GKE adds the label cloud.google.com/gke-accelerator=nvidia-l4 by itself.
    guest_accelerator {
      type  = "nvidia-l4"
      count = 1

      gpu_driver_installation_config {
        gpu_driver_version = "DEFAULT"
      }
    }

    labels = {
      "graft.dev/pool" = "gpu"
    }

    taint {
      key    = "nvidia.com/gpu"
      value  = "present"
      effect = "NO_SCHEDULE"
    }

    dynamic "taint" {
      for_each = var.spot ? [1] : []
      content {
        key    = "cloud.google.com/gke-spot"
        value  = "true"
        effect = "NO_SCHEDULE"
      }
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}
